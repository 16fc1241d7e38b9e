"""Where pictures come from: cameras, videos, pictures, folders."""
