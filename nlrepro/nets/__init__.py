"""The non-local operation, its block, and the video ResNets that it is put into."""
