"""A study: its profile, and the specs it consists of: classifiers, explainers, evaluations, probes."""
