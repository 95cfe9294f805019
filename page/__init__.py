"""The page to look at: views of the marts in a browser, in Arabic and English; it only reads.

`views` holds one file a view (its SQL, its columns, its picture), `words` what it says in each
language, `static` what the browser runs. `app` serves them, `report` writes them as one file.
"""
