"""What a position of a block looks at: the paper's Figure 3, of any net and any video."""
