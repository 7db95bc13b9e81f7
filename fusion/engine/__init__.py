"""A model and a loss over a batch of starts: values, curvature, linear systems, covariances."""
