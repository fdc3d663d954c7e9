"""Requests and replies: bodies and queries within limits, media types, links, pages, errors."""
