# The test cluster's targets; the Makefile includes this file. docs/test-cluster.md says what comes up.

# In the profile of the tests: another would compile the library once more.
CLUSTER := cargo run --quiet --profile test --example cluster --

.PHONY: cluster cluster-check cluster-fetch cluster-shell test-cluster test-meshes

cluster: ## bring the test cluster up and keep it until Ctrl-C
	$(CLUSTER) up

cluster-shell: ## a shell inside the cluster that `make cluster` keeps up
	@$(CLUSTER) enter

cluster-check: ## whether this machine allows a network namespace; fails early and says what to do
	@$(CLUSTER) check

cluster-fetch: ## find or obtain every program of the test cluster
	$(CLUSTER) fetch

# Everything is built before a namespace is entered: inside there is no network.
test-cluster: cluster-check ## end-to-end tests on real Kubernetes, Istio, Envoy and Prometheus, in two clusters at once
	cargo build --profile test --test cluster --example cluster
	$(CLUSTER) fetch
	@tests/cluster/lanes $(TESTS)

test-meshes: cluster-check ## end-to-end tests on a real Consul, Traefik and NGINX, and on the definitions of other meshes
	cargo build --profile test --test cluster --example cluster
	$(CLUSTER) fetch consul nginx traefik traefik-crds.yaml contour-crds.yaml smi-crds.yaml
	$(CLUSTER) within cargo test --offline --test cluster -- --test-threads=1 --nocapture --ignored \
		$(or $(TESTS),consul:: nginx:: traefik:: presets::)
