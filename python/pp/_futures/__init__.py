"""Jobs as futures: waiting for several, awaiting one, showing one."""
