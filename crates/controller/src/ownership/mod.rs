//! Which replica works on which run: buckets and members, kept in Leases.
