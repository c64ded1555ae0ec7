"""Requirements held against measurements: may this model ship?"""
