"""Studies and tables that the README and docs cite, each one command: ``python -m mvae reproduce NAME``."""
