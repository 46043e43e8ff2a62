"""One photo -> a person who moves: mesh, matte, commanded motion, warp."""
