"""Where artefacts live: the catalog database, the payload stores, and `dataset_store` and `model_store` over them."""
