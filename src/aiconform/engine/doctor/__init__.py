"""What is in the way of a run before it begins, point by point, by reads, reviews and dry runs of the API."""
