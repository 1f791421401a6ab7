module aiconform.dev/lab/gang-definitions

go 1.24

require (
	github.com/NVIDIA/KAI-scheduler v0.12.0
	volcano.sh/volcano v1.10.0
)
