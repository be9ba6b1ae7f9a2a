"""Run it all: the command line, the plan of a study, the notebook series, the report."""
