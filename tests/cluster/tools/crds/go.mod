// Nothing is built from these modules: they hold the CustomResourceDefinitions of their projects (obtain.rs says which files).
// Not for `go mod tidy`, which would remove what no Go file imports.
module glidepath.dev/tools/crds

go 1.26.0

require (
	github.com/projectcontour/contour v1.33.8
	github.com/servicemeshinterface/smi-sdk-go v0.5.0
)
