"""The views, one a file; `page.view.find` lists them."""
