"""Jobs that failed, once more: in this process, or later and elsewhere."""
