"""Several actions a video (section 5.2, Table 4): Charades, and a generated task in its layout. README.md tells what is there."""
