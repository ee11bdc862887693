"""How a Point-SAM is trained: samples of synthetic rooms, rounds of clicks, losses, a loop that can be interrupted."""
