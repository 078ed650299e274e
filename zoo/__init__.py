"""The model zoo: ``models/`` (weights), ``results/`` (measurements), and the code that checks and finds entries."""
