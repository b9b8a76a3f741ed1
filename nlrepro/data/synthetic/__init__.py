"""The data that the project generates itself: videos of Tables 2 and 4, images of Tables 5 and 6."""
