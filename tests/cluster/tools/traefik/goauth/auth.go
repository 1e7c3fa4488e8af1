// Package auth lets nobody in: it has what Traefik's auth middlewares name of the fork that it is built with, which is not
// served as a module.
package auth

import "net/http"

// SecretProvider gives the secret of a user.
type SecretProvider func(user, realm string) string

// CheckSecret refuses.
func CheckSecret(_, _ string) bool { return false }

// BasicAuth refuses.
type BasicAuth struct {
	Realm   string
	Secrets SecretProvider
}

// CheckAuth finds no user.
func (*BasicAuth) CheckAuth(*http.Request) string { return "" }

// RequireAuth answers 401.
func (*BasicAuth) RequireAuth(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }

// DigestAuth refuses.
type DigestAuth struct{}

// NewDigestAuthenticator makes one that refuses.
func NewDigestAuthenticator(string, SecretProvider) *DigestAuth { return &DigestAuth{} }

// DigestAuthParams are none.
func DigestAuthParams(string) map[string]string { return nil }

// CheckAuth finds no user.
func (*DigestAuth) CheckAuth(*http.Request) (string, *string) { return "", nil }

// RequireAuth answers 401.
func (*DigestAuth) RequireAuth(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }

// RequireAuthStale answers 401.
func (d *DigestAuth) RequireAuthStale(w http.ResponseWriter, r *http.Request) { d.RequireAuth(w, r) }
