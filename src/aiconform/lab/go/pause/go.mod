module aiconform/lab/pause

go 1.26
