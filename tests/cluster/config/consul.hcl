# One agent that is server and client, on loopback alone.
server = true
bootstrap = true
bind_addr = "127.0.0.1"
client_addr = "127.0.0.1"
datacenter = "dc1"
node_name = "machine"
disable_update_check = true
enable_script_checks = false
log_level = "WARN"
connect { enabled = true }
performance { raft_multiplier = 1 }
ports { http = 8500, grpc = 8502, grpc_tls = -1, dns = -1, server = 8300, serf_lan = 8301, serf_wan = -1 }
