"""Samplers and restorers as functions: any model of noise, arrays of any size, no scene."""
