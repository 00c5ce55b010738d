"""The workbench in a browser: a web server on the loopback interface, one process a tab."""
