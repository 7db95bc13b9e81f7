"""Entry-wise losses of data, and the metric that they give predictions."""
