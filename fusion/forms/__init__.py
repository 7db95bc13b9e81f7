"""The data as losses read them: products with the array, and blocks of its entries."""
