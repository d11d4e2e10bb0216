//! Registry credentials of the ServiceAccount that a run uses.
