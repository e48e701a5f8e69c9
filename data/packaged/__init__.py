"""Data that come with matloop or with the packages it installs."""
