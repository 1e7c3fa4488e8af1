// Package ext holds the extension points of Traefik's dynamic configuration, which are empty.
package ext

// HTTP extends the HTTP configuration.
type HTTP struct{}

// Router extends a router.
type Router struct{}
