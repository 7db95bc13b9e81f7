"""What tensors are made of: axes and units, structured predictions, sums, low-rank tools."""
