"""Pictures of any size, written chunk by chunk: resumable, shared among machines."""
