"""2-D masks on the frames of scene folders: where labels come from when nobody drew any."""
