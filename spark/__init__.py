"""The high-throughput core: frame to frame transforms, sinks, thin mains."""
