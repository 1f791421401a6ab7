module aiconform.dev/lab/pause

go 1.26
