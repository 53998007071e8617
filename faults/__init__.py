"""The worst day on purpose: damaged files, killed jobs, servers under load; see SECURITY.md."""
