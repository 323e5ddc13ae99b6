"""A trained stage written for programs that know nothing of this one."""
