module aiconform.dev/lab/accelerator-exporter

go 1.26
