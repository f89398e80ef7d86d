"""Study files shipped with the package: one YAML each, only what differs from the defaults."""
