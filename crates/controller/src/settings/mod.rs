//! What the controller does now: the ConfigMap and the keys, checked as a whole and swapped in at once.
