"""What a position of a block attends to: the paper's Figure 3, of any net and any video."""
