//! Tells people in the cluster what happened: Kubernetes Events.
