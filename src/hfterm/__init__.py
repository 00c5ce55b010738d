"""hfterm: the Hugging Face workbench that lives in a terminal."""

__version__ = "0.1.0"
