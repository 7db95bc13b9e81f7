"""What tensors are made of: axes and units, structured predictions, low-rank tools."""
