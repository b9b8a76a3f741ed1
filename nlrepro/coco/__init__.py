"""Boxes, masks and keypoints on COCO 2017 (section 6, Tables 5 and 6): README.md tells what is there."""
