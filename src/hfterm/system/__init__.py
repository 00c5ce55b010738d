"""The machine and the terminal hfterm runs on."""
