"""One sync run: the run context that joins the service and the store."""
