"""What people read: queries, status, published copies, reference, health."""
