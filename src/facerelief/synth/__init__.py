"""Renderings of endless heads with exact truth: descriptions, looks, and what draws them."""
